"""What the suite over all readers is told: small data sets in every format, and what is to come out of them.

Every video has 20 frames at 25 frames/s. Lists are written as the sources named in docs/datasets.md write them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

Row = tuple[str, str | None, str | None, str | None]
"""Path, label, split and group of an item."""


@dataclass(frozen=True)
class ReaderCase:
    """One data set.

    Attributes
    ----------
    videos
        Paths of the videos; one that ends with "/" is a folder of frames.
    rows
        The items in order.
    classes
        In order of their indices.
    lists
        Text of the official lists by path, all in one folder.
    gone
        A listed video, and what the checker calls it once it is deleted; None for formats without lists.
    moved
        A video and where it contradicts its label; None where no folder speaks of classes.
    damage
        A list, what to put in place of what (None: behind its end), and what the error must say.
    detected
        Whether the kind is found without being named.
    spans
        Start and end in seconds of every item, where they are segments.
    several
        Further labels by path.
    """

    videos: tuple[str, ...]
    rows: tuple[Row, ...]
    classes: tuple[str, ...]
    lists: Mapping[str, str] = field(default_factory=dict)
    gone: tuple[str, str] | None = None
    moved: tuple[str, str] | None = None
    damage: tuple[tuple[str, str | None, str, str], ...] = ()
    detected: bool = True
    spans: tuple[tuple[float, float], ...] = ()
    several: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


FOLDERS = ReaderCase(
    ("jump/a.avi", "jump/b.avi", "walk/c.avi", "walk/d.avi"),
    tuple(
        (f"{name[0]}/{name[1]}.avi", name[0], None, None)
        for name in (("jump", "a"), ("jump", "b"), ("walk", "c"), ("walk", "d"))
    ),
    ("jump", "walk"),
    detected=False,
)

TABLE = ReaderCase(
    ("kitchen.avi", "office.avi"),
    (
        ("kitchen.avi", "cup", "train", "kitchen"),
        ("kitchen.avi", "sponge", "train", "kitchen"),
        ("office.avi", "cup", "test", "office"),
    ),
    ("cup", "sponge"),
    {
        "metadata.csv": "file_name,label,split,group,start_s,end_s\n"
        "kitchen.avi,cup,train,kitchen,0,0.4\nkitchen.avi,sponge,train,kitchen,0.4,0.8\noffice.avi,cup,test,office,0.2,0.8\n"
    },
    damage=(
        ("metadata.csv", None, "x.avi,cup\n", "line 5: 2 fields where the header names 6"),
        ("metadata.csv", "0.4,0.8", "0.8,0.4", r"line 3: end_s 0\.4 is not after start_s 0\.8"),
    ),
    spans=((0, 0.4), (0.4, 0.8), (0.2, 0.8)),
)

UCF = ReaderCase(
    ("Archery/v_Archery_g01_c01.avi", "Archery/v_Archery_g08_c01/", "YoYo/v_YoYo_g08_c02.avi"),
    (
        ("Archery/v_Archery_g08_c01", "Archery", "train", "g08"),
        ("YoYo/v_YoYo_g08_c02.avi", "YoYo", "train", "g08"),
        ("Archery/v_Archery_g01_c01.avi", "Archery", "test", "g01"),
    ),
    ("Archery", "YoYo"),
    {
        "annotations/classInd.txt": "1 Archery\n2 YoYo\n",
        "annotations/trainlist01.txt": "Archery/v_Archery_g08_c01.avi 1\nYoYo/v_YoYo_g08_c02.avi 2\n",
        "annotations/testlist01.txt": "Archery/v_Archery_g01_c01.avi\n",
    },
    gone=("YoYo/v_YoYo_g08_c02.avi", "YoYo/v_YoYo_g08_c02.avi"),
    moved=("YoYo/v_YoYo_g08_c02.avi", "Archery/v_YoYo_g08_c02.avi"),
    damage=(
        ("annotations/trainlist01.txt", "avi 1", "avi 2", "line 1: Archery is class 1 of classInd.txt, not 2"),
        ("annotations/trainlist01.txt", "avi 1", "avi 1 1", "line 1 is not"),
    ),
)

CLIMB, WAVE, WAVE2 = "a_climb_f_cm_np1_ba_med_0", "b_wave_u_nm_np1_fr_goo_5", "c_wave_u_nm_np1_fr_goo_5"
HMDB = ReaderCase(
    (f"climb/{CLIMB}.avi", f"wave/{WAVE}.avi", f"wave/{WAVE2}.avi"),
    (
        (f"climb/{CLIMB}.avi", "climb", "train", "climb/a"),
        (f"wave/{WAVE}.avi", "wave", "train", "wave/b"),
        (f"wave/{WAVE2}.avi", "wave", "test", "wave/c"),
    ),
    ("climb", "wave"),
    {
        "annotations/climb_test_split1.txt": f"{CLIMB}.avi 1 \n",
        "annotations/wave_test_split1.txt": f"{WAVE}.avi 1 \n{WAVE2}.avi 2 \n",
    },
    gone=(f"wave/{WAVE}.avi", f"wave/{WAVE}.avi"),
    moved=(f"wave/{WAVE}.avi", f"climb/{WAVE}.avi"),
    damage=(
        ("annotations/wave_test_split1.txt", "avi 2", "avi 3", "line 2 is not"),
        ("annotations/wave_test_split1.txt", WAVE2, WAVE, "line 2 lists .* again"),
    ),
)

WEIZMANN = ReaderCase(
    ("bend/ido_bend.avi", "walk/ido_walk1.avi", "walk/lena_walk2.avi"),
    (
        ("bend/ido_bend.avi", "bend", None, "ido"),
        ("walk/ido_walk1.avi", "walk", None, "ido"),
        ("walk/lena_walk2.avi", "walk", None, "lena"),
    ),
    ("bend", "jack", "jump", "pjump", "run", "side", "skip", "walk", "wave1", "wave2"),
    moved=("walk/lena_walk2.avi", "bend/lena_walk2.avi"),
)

_HEAD = "This database contains sequences of six classes.\n\nTraining:   person11, 12, 13, 14, 15, 16, 17, 18\n\n"
KTH = ReaderCase(
    (
        "boxing/person11_boxing_d1_uncomp.avi",
        "walking/person25_walking_d4_uncomp.avi",
        "walking/person02_walking_d2_uncomp.avi",
    ),
    (
        ("boxing/person11_boxing_d1_uncomp.avi", "boxing", "train", "person11"),
        ("boxing/person11_boxing_d1_uncomp.avi", "boxing", "train", "person11"),
        ("walking/person25_walking_d4_uncomp.avi", "walking", "val", "person25"),
        ("walking/person02_walking_d2_uncomp.avi", "walking", "test", "person02"),
    ),
    ("boxing", "handclapping", "handwaving", "jogging", "running", "walking"),
    {
        "00sequences.txt": f"{_HEAD}person11_boxing_d1\t\tframes\t1-10, 9-20\nperson13_handclapping_d3\t*missing*\n\n"
        "person25_walking_d4    \tframes\t1-20\nperson02_walking_d2\t\tframes\t1-20\n",
    },
    gone=("walking/person02_walking_d2_uncomp.avi", "person02_walking_d2_uncomp.avi"),
    moved=("walking/person02_walking_d2_uncomp.avi", "boxing/person02_walking_d2_uncomp.avi"),
    damage=(
        ("00sequences.txt", "1-10, 9-20", "1-10, 20-9", "line 5: a segment runs backwards"),
        ("00sequences.txt", "frames\t1-10, 9-20\n", "frames\t1-10, 9\n", "line 5 is not '<sequence> frames"),
        (
            "00sequences.txt",
            "person25_walking_d4 ",
            "person26_walking_d4 ",
            "line 8: 'person26_walking_d4' is no sequence",
        ),
        ("00sequences.txt", None, "person11_boxing_d1 frames 1-5\n", "line 10 lists person11_boxing_d1 again"),
    ),
    spans=((0, 0.4), (0.32, 0.8), (0, 0.8), (0, 0.8)),
)

ARCHERY, BOWLS, GOLF = "UDqivjS-lpI", "yt_bowls_-x", "_-abcdefgh0"  # YouTube ids of eleven letters
SPORTS = ReaderCase(
    (f"{ARCHERY}.webm", f"part2/yt_{BOWLS}.mp4", f"{GOLF}.mkv"),
    (
        (f"{ARCHERY}.webm", "bowls", "train", ARCHERY),
        (f"part2/yt_{BOWLS}.mp4", "boomerang", "train", BOWLS),
        (f"{GOLF}.mkv", "candlepin bowling", "test", GOLF),
    ),
    ("boomerang", "bowls", "candlepin bowling"),
    {
        "sports-1m-dataset/labels.txt": "boomerang\nbowls\ncandlepin bowling\n",
        "sports-1m-dataset/original/train_partition.txt": f"https://www.youtube.com/watch?v={ARCHERY} 1,2\n"
        f"https://www.youtube.com/watch?v={BOWLS} 0\n",
        "sports-1m-dataset/original/test_partition.txt": f"https://www.youtube.com/watch?v={GOLF} 2\n",
    },
    gone=(f"{GOLF}.mkv", GOLF),
    moved=(f"{GOLF}.mkv", f"boomerang/{GOLF}.mkv"),
    damage=(
        (
            "sports-1m-dataset/original/train_partition.txt",
            " 1,2",
            " 1,3",
            r"line 1: '3' is no label number from 0 to 2",
        ),
        ("sports-1m-dataset/original/train_partition.txt", " 1,2", " 1, 2", "line 1: 3 words"),
        (
            "sports-1m-dataset/original/train_partition.txt",
            f"v={BOWLS} 0",
            f"v={ARCHERY} 0",
            f"line 2 lists {ARCHERY} with other",
        ),
        ("sports-1m-dataset/original/test_partition.txt", "watch?v=", "watch?list=", "line 1: .* is no address"),
        ("sports-1m-dataset/labels.txt", "bowls\n", "\n", "line 2 is empty"),
        ("sports-1m-dataset/labels.txt", "bowls\n", "boomerang\n", "line 2 repeats 'boomerang' of line 1"),
    ),
    several={f"{ARCHERY}.webm": ("candlepin bowling",)},
)

K1, K2, K3, K4 = "-abcdefghij", "ABCDEFGHIJK", "abcdefghijk", "0123456789_"  # the second and third differ by case alone
KINETICS = ReaderCase(
    (
        f"train/arm wrestling/{K1}_000000_000010.mp4",
        f"train/riding_a_bike/{K2}_000005_000015.mp4",
        f"val/riding a bike/{K3}_000004_000014.mp4",
        f"test/{K4}_001409_001419.mp4",
    ),
    (
        (f"train/arm wrestling/{K1}_000000_000010.mp4", "arm wrestling", "train", K1),
        (f"train/riding_a_bike/{K2}_000005_000015.mp4", "riding a bike", "train", K2),
        (f"val/riding a bike/{K3}_000004_000014.mp4", "riding a bike", "val", K3),
        (f"test/{K4}_001409_001419.mp4", None, "test", K4),
    ),
    ("arm wrestling", "riding a bike"),
    {
        "annotations/kinetics-400_train.csv": "label,youtube_id,time_start,time_end,split,is_cc\n"
        f'"arm wrestling",{K1},0,10,train,0\nriding a bike,{K2},5,15,train,0\n',
        "annotations/kinetics-400_val.csv": "label,youtube_id,time_start,time_end,split\n"
        f"riding a bike,{K3},4,14,validate\n",
        "annotations/kinetics-400_test.csv": f"youtube_id,time_start,time_end,split\n{K4},1409,1419,test\n",
    },
    gone=(f"val/riding a bike/{K3}_000004_000014.mp4", f"{K3}_000004_000014.mp4"),
    moved=(f"val/riding a bike/{K3}_000004_000014.mp4", f"val/arm_wrestling/{K3}_000004_000014.mp4"),
    damage=(
        ("annotations/kinetics-400_val.csv", ",4,14,", ",14,4,", "line 2: '14' to '4' are no whole seconds"),
        ("annotations/kinetics-400_val.csv", ",4,14,", ",4,14", "line 2: 4 fields where the header names 5"),
        ("annotations/kinetics-400_val.csv", K3, "short", "line 2: 'short' is no YouTube id"),
        ("annotations/kinetics-400_val.csv", "validate", "valid8", "line 2: 'valid8' is no split"),
        (
            "annotations/kinetics-400_val.csv",
            f"{K3},4,14",
            f"{K2},5,15",
            "line 2 lists .* otherwise than kinetics-400_train.csv line 3",
        ),
        ("annotations/kinetics-400_test.csv", None, '"unclosed', "line 3"),
    ),
)

A1, A2, A3 = "--1DO2V4K74", "QOlSCBRmfWY", "zzzzzzzzz_-"


def _anet(**changes: object) -> str:
    database = {
        A1: {
            "duration": 0.8,
            "subset": "training",
            "resolution": "320x240",
            "url": f"https://www.youtube.com/watch?v={A1}",
            "annotations": [
                {"segment": [0.0, 0.2], "label": "Ballet"},
                {"segment": [0.2, 0.8], "label": "Polishing shoes"},
            ],
        },
        A2: {"duration": 0.8, "subset": "validation", "annotations": [{"segment": [0.4, 0.8], "label": "Ballet"}]},
        A3: {"duration": 0.8, "subset": "testing", "annotations": []},
    }
    taxonomy = [
        {"parentName": None, "nodeName": "Root", "nodeId": 0, "parentId": None},
        {"parentName": "Root", "nodeName": "Ballet", "nodeId": 1, "parentId": 0},
        {"parentName": "Root", "nodeName": "Polishing shoes", "nodeId": 2, "parentId": 0},
    ]
    return json.dumps({"version": "VERSION 1.3", "database": database, "taxonomy": taxonomy, **changes}, indent=1)


_ANET = "annotations/activity_net.v1-3.min.json"
_ANET_DAMAGE = (
    (_ANET, '"training"', '"trainig"', f"{A1}: 'trainig' is no subset"),
    (_ANET, '"label": "Ballet"', '"label": "Tango"', f"{A1}: 'Tango' is no class of the taxonomy"),
    (_ANET, "0.4,", "0.9,", rf"{A2}: 0\.9 to 0\.8 s is no segment"),
    (_ANET, '"segment"', '"times"', r"2 lines .*not a subset and annotations"),
    (_ANET, '"database"', '"data"', "no annotations of ActivityNet"),
    (_ANET, None, "}", "no annotations of ActivityNet"),
)
ANET = ReaderCase(
    (f"v_{A1}.mp4", f"{A2}.mkv", f"v_{A3}.mp4"),
    (
        (f"v_{A1}.mp4", "Polishing shoes", "train", A1),
        (f"{A2}.mkv", "Ballet", "val", A2),
        (f"v_{A3}.mp4", None, "test", A3),
    ),
    ("Ballet", "Polishing shoes"),
    {_ANET: _anet()},
    gone=(f"{A2}.mkv", f"v_{A2}.mp4"),
    moved=(f"{A2}.mkv", f"Polishing_shoes/{A2}.mkv"),
    damage=_ANET_DAMAGE,
    several={f"v_{A1}.mp4": ("Ballet",)},
)
ANET_SEGMENTS = ReaderCase(
    ANET.videos[:2],
    (
        (f"v_{A1}.mp4", "Ballet", "train", A1),
        (f"v_{A1}.mp4", "Polishing shoes", "train", A1),
        (f"{A2}.mkv", "Ballet", "val", A2),
    ),
    ANET.classes,
    ANET.lists,
    gone=ANET.gone,
    moved=ANET.moved,
    damage=_ANET_DAMAGE,
    detected=False,
    spans=((0, 0.2), (0.2, 0.8), (0.4, 0.8)),
)

SCENES = ReaderCase(
    ("Beach/Beach_static_cam_1.mp4", "Beach/Beach_static_cam_2.mp4", "Ocean/Ocean_1.mp4", "Ocean/Ocean_2.mp4"),
    (
        ("Beach/Beach_static_cam_1.mp4", "Beach", None, None),
        ("Beach/Beach_static_cam_2.mp4", "Beach", None, None),
        ("Ocean/Ocean_1.mp4", "Ocean", None, None),
        ("Ocean/Ocean_2.mp4", "Ocean", None, None),
    ),
    ("Beach", "Ocean"),
    moved=("Ocean/Ocean_1.mp4", "Beach/Ocean_1.mp4"),
    detected=False,
)

ASLAN = ReaderCase(
    ("0001.avi", "0002.mp4", "part/0003.avi", "0004/"),
    (
        ("0001.avi", "walk a dog", None, None),
        ("0002.mp4", "walk a dog", None, None),
        ("part/0003.avi", "jump", None, None),
        ("0004", "swim", None, None),
    ),
    ("walk a dog", "jump", "swim"),
    # The text form of View 2: split, two samples, same or not, their actions.
    {"View2.txt": "1,1,2,1,1,1\n2,3,4,0,2,3\n", "Actions_Ids.txt": "1 walk a dog\n2 jump\n3 swim\n"},
    gone=("part/0003.avi", "0003"),
    moved=("part/0003.avi", "swim/0003.avi"),
    damage=(
        ("Actions_Ids.txt", "3 swim", "2 swim", "line 3 is not an id of its own and a label"),
        ("View2.txt", "0,2,3", "0,2", "damaged|cannot be read|numbers"),
    ),
)

PYSLOWFAST = ReaderCase(
    ("videos/a.mp4", "videos/b c.mp4", "videos/d/", "videos/e.mp4"),
    (
        ("videos/a.mp4", "2", "train", None),
        ("videos/b c.mp4", "0", "val", None),
        ("videos/d", "1", "test", None),
        ("videos/e.mp4", "2", "test", None),
    ),
    ("0", "1", "2"),
    {
        "train.csv": "videos/a.mp4 2\n",
        "val.csv": "videos/b c.mp4,0\nvideos/d,1\n",  # with DATA.PATH_LABEL_SEPARATOR ","
        "test.csv": "videos/d 1\nvideos/e.mp4 2\n",
    },
    gone=("videos/e.mp4", "videos/e.mp4"),
    damage=(
        ("train.csv", "mp4 2", "mp4 2 7", "line 1: 3 columns where a path and a number are expected"),
        ("train.csv", "mp4 2", "mp4", "line 1: 1 columns"),
        ("train.csv", "mp4 2", "mp4 two", "line 1: 'two' is no label number"),
        ("test.csv", None, "videos/a.mp4 2\n", "line 3: videos/a.mp4 is in train.csv too"),
        ("test.csv", "videos/d 1", "videos/d 2", "line 1: videos/d has number 1 in val.csv"),
    ),
)

# Frame labels, for egocentric objects (docs/datasets.md): one frame a line, or a run of them, from 0.
OBJECTS = ReaderCase(
    ("day1/kitchen.avi", "day1/table/", "office.mp4", "empty.avi"),
    (
        ("day1/kitchen.avi", "sponge", "train", "day1"),
        ("day1/table", "cup", "train", "day1"),
        ("office.mp4", "cup", "test", None),
        ("empty.avi", None, "test", None),
    ),
    ("cup", "sponge"),
    {
        "frame_labels.csv": "file_name,frame,last_frame,label,split,group\n"
        "day1/kitchen.avi,0,4,cup,train,day1\nday1/kitchen.avi,5,,sponge,,\nday1/kitchen.avi,8,19,sponge,,\n"
        "day1/table,3,,cup,train,day1\noffice.mp4,0,11,cup,test,\noffice.mp4,12,19,,test,\nempty.avi,,,,test,\n"
    },
    gone=("office.mp4", "office.mp4"),
    damage=(
        (
            "frame_labels.csv",
            "5,,sponge",
            "4,,sponge",
            "line 3: frame 4 of day1/kitchen.avi is labeled on line 2 already",
        ),
        ("frame_labels.csv", "8,19,", "8,7,", "line 4: last_frame 7 is before frame 8"),
        ("frame_labels.csv", "3,,cup", "-3,,cup", "line 5: '-3' is no frame number from 0 on"),
        ("frame_labels.csv", "3,,cup", ",,cup", "line 5: no frame"),
        ("frame_labels.csv", None, "office.mp4,,,,train,\n", "line 9: office.mp4 has split test on line 6"),
        ("frame_labels.csv", ",frame,", ",number,", "has no column frame"),
    ),
    several={"day1/kitchen.avi": ("cup",)},
)

CASES: dict[str, ReaderCase] = {
    "folder": FOLDERS,
    "metadata": TABLE,
    "class-folders": FOLDERS,
    "videos": ReaderCase(
        FOLDERS.videos, tuple((path, None, None, None) for path in FOLDERS.videos), (), detected=False
    ),
    "ucf101": UCF,
    "hmdb51": HMDB,
    "weizmann": WEIZMANN,
    "aslan": ASLAN,
    "kth": KTH,
    "sports1m": SPORTS,
    "kinetics": KINETICS,
    "activitynet": ANET,
    "activitynet-segments": ANET_SEGMENTS,
    "yupenn": SCENES,
    "maryland": SCENES,
    "objects": OBJECTS,
    "pyslowfast": PYSLOWFAST,
}
