"""How many pictures a packet should give: one as a rule, but hidden, skipped and packed ones exist."""

from __future__ import annotations

from av.packet import Packet
from av.video.stream import VideoStream

# A packet this small in an MPEG-4 stream repeats the picture before or pads the stream; no picture fits into it.
_TINY_BYTES = 8

_VOL_FIRST, _VOL_LAST = 0x20, 0x2F  # start codes of a video object layer
_VOP = 0xB6  # start code of a picture


class PacketCounter:
    """Counts the pictures that the packets of one stream should give.

    The count is what a sound stream yields; a decode that gives fewer frames lost some. Where damage may have changed
    the mark that hides a picture, the picture is counted: better a whole file too many called damaged than a loss
    unseen (such a mark is only believed in packets too small to hold a picture).

    Parameters
    ----------
    codec
        FFmpeg's name of the codec.
    extradata
        The stream's global header; MPEG-4 keeps the resolution of its clock there.
    """

    def __init__(self, codec: str, extradata: bytes) -> None:
        self._codec = codec
        self._clock_bits = _mpeg4_clock_bits(extradata) if codec == "mpeg4" else None

    def pictures(self, packet: Packet[VideoStream]) -> int:
        """Number of pictures to be shown from ``packet``, which is not empty."""
        if packet.is_discard:
            return 0  # before the start of an edit: decoded, but not shown
        if self._codec == "vp8":
            # Bit 4 of the first byte is show_frame; reference pictures that are never shown have packets of their own.
            return bytes(memoryview(packet)[:1])[0] >> 4 & 1
        if self._codec == "mpeg4":
            return self._mpeg4_pictures(bytes(packet))
        return 1

    def _mpeg4_pictures(self, data: bytes) -> int:
        coded = 0
        position = data.find(b"\x00\x00\x01")
        while position >= 0:
            code = data[position + 3] if position + 3 < len(data) else -1
            if _VOL_FIRST <= code <= _VOL_LAST:
                self._clock_bits = _mpeg4_clock_bits(data[position:]) or self._clock_bits
            elif code == _VOP:
                coded += self._is_coded(data[position + 4 : position + 16])
            position = data.find(b"\x00\x00\x01", position + 3)
        return coded if len(data) <= _TINY_BYTES or coded > 1 else 1

    def _is_coded(self, header: bytes) -> bool:
        """Whether a picture's header says that a picture follows (vop_coded)."""
        if self._clock_bits is None:
            return True
        bits = _Bits(header)
        bits.take(2)  # vop_coding_type
        while bits.take(1):  # modulo_time_base
            pass
        bits.take(1 + self._clock_bits + 1)  # marker, vop_time_increment, marker
        return bits.take(1) == 1


def _mpeg4_clock_bits(data: bytes) -> int | None:
    """Bits of vop_time_increment, from the video object layer header (ISO 14496-2, 6.2.3); None if there is none."""
    for code in range(_VOL_FIRST, _VOL_LAST + 1):
        position = data.find(bytes((0, 0, 1, code)))
        if position >= 0:
            break
    else:
        return None
    bits = _Bits(data[position + 4 : position + 64])
    bits.take(1 + 8)  # random_accessible_vol, video_object_type_indication
    if bits.take(1):  # is_object_layer_identifier
        bits.take(4 + 3)
    if bits.take(4) == 15:  # aspect_ratio_info: extended
        bits.take(8 + 8)
    if bits.take(1):  # vol_control_parameters
        bits.take(2 + 1)
        if bits.take(1):  # vbv_parameters
            bits.take(15 + 1 + 15 + 1 + 15 + 1 + 3 + 11 + 1 + 15 + 1)
    bits.take(2 + 1)  # video_object_layer_shape, marker
    resolution = bits.take(16)  # vop_time_increment_resolution
    return max(1, (resolution - 1).bit_length()) if resolution > 0 else None


class _Bits:
    """Bits from the left; zeros after the end."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        """The next ``count`` bits as a number."""
        self._left -= count
        value = self._value >> self._left if self._left >= 0 else 0
        return value & ((1 << count) - 1)
