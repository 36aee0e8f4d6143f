"""Leaked figures are known by their notes; that those who refuse leaks write them so stands in their own tests."""

from __future__ import annotations

from tubelet.protocols.leaked import is_leaked, of_test


def test_the_form_is_known_and_other_shares_are_not() -> None:
    assert is_leaked(["no training video shows run", f"spatial: the weights saw {of_test(3, 25, 'groups')}"])
    assert is_leaked([f"{of_test(1, 4, 'videos')} shows what training has too: a.avi"])
    for innocent in (
        "4 of 24 test videos have no descriptor and are not counted",
        "3 of 24 test videos have others of their group among the training videos of their fold",
        "image: which videos its network saw is not recorded, so a leak would not be seen",
    ):
        assert not is_leaked([innocent])
