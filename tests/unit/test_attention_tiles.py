"""How a pack's attention is cut up and dealt out."""

from hypothesis import given, settings
from hypothesis import strategies as st

from rixin.training.batch import Segment
from rixin.training.tiles import families, positions, shares


@st.composite
def packs(draw: st.DrawFn) -> tuple[Segment, ...]:
    segments: list[Segment] = []
    for _ in range(draw(st.integers(1, 12))):
        roots = [index for index, segment in enumerate(segments) if segment.prefix is None]
        prefix = draw(st.sampled_from([None, *roots]))
        segments.append(Segment(draw(st.sampled_from((1, 2, 30, 100, 256, 257, 700))), prefix))
    return tuple(segments)


@settings(deadline=None)
@given(packs())
def test_each_token_sees_its_segment_up_to_itself_and_its_whole_prefix_once(segments: tuple[Segment, ...]) -> None:
    starts = [sum(s.length for s in segments[:index]) for index in range(len(segments))]
    expected = {}
    for start, segment in zip(starts, segments, strict=True):
        shared: list[int] = []
        if segment.prefix is not None:
            shared = list(range(starts[segment.prefix], starts[segment.prefix] + segments[segment.prefix].length))
        for token in range(start, start + segment.length):
            expected[token] = (shared[0] if shared else 0, len(shared), start)
    seen = {}
    for tiles in families(segments):
        for tile in tiles:
            for token in range(tile.first, tile.stop):
                assert token not in seen
                begin = int(tile.begins[token - tile.first])
                assert tile.behind + token - tile.first == tile.shared + token - tile.own
                seen[token] = (tile.prefix if tile.shared else 0, tile.shared, tile.own + begin - tile.shared)
    assert seen == expected


@settings(deadline=None)
@given(packs(), st.integers(1, 4), st.integers(1, 8))
def test_no_two_members_of_a_team_add_to_the_same_keys_of_a_head(
    segments: tuple[Segment, ...], kv_heads: int, members: int
) -> None:
    owner: dict[tuple[int, int], int] = {}
    queries = 0
    for member, hand in enumerate(shares(segments, kv_heads, members)):
        for share in hand:
            for tile in share.tiles:
                queries += (tile.stop - tile.first) * (share.head_stop - share.head)
                keys = [*range(tile.prefix, tile.prefix + tile.shared), *range(tile.own, tile.stop)]
                for head in range(share.head, share.head_stop):
                    assert {owner.setdefault((key, head), member) for key in keys} == {member}
    assert queries == kv_heads * sum(segment.length for segment in segments)


def test_positions_go_on_where_the_prefix_ends() -> None:
    assert positions((Segment(3), Segment(2, 0), Segment(2, 0), Segment(1))).tolist() == [0, 1, 2, 3, 4, 3, 4, 0]
