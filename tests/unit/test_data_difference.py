"""What differs between two versions: every row is in exactly one of the lists, and the same change is one change."""

from hypothesis import given
from hypothesis import strategies as st

from rixin.data.difference import Rows, difference

IDS = st.lists(st.sampled_from("abcdef"), max_size=20)


@given(IDS, IDS)
def test_every_row_is_counted_once(a: list[str], b: list[str]) -> None:
    found = difference(Rows("d_a", a, {}), Rows("d_b", b, {}))
    assert found.same + len(found.removed) == len(a)
    assert found.same + len(found.added) == len(b)
    assert {a[line - 1] for line in found.removed}.isdisjoint(b[line - 1] for line in found.added)
    kept = [one for line, one in enumerate(a, 1) if line not in found.removed]
    assert sorted(kept + [b[line - 1] for line in found.added]) == sorted(b)


@given(IDS)
def test_a_version_does_not_differ_from_itself(ids: list[str]) -> None:
    found = difference(Rows("d_a", ids, {}), Rows("d_a", ids, {}))
    assert (found.same, found.removed, found.added, found.changed) == (len(ids), (), (), ())


def test_a_row_that_says_something_else_is_a_change_if_it_came_from_the_same_place() -> None:
    cleaned = difference(Rows("d_a", ["x", "y", "z"], {}), Rows("d_b", ["X", "z"], {1: "d_a:1", 2: "d_a:3"}))
    assert (cleaned.same, cleaned.changed, cleaned.removed, cleaned.added) == (1, ((1, 1),), (2,), ())
    again = difference(
        Rows("d_a", ["x"], {1: "feedback:f_1"}), Rows("d_b", ["y", "w"], {1: "feedback:f_2", 2: "feedback:f_1"})
    )
    assert (again.changed, again.removed, again.added) == (((1, 2),), (), (1,))
