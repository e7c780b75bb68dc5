"""One dial for a new model: from how much may be computed and how much text there is, to every size that it has.

What is known of training language models is about large ones. What is taken here, and where from:

- *Parameters and tokens.* The loss of N parameters after D tokens is about E + 406.4 / N^0.34 + 410.7 / D^0.28
  (Hoffmann et al. 2022, arXiv:2203.15556, approach 3), and training takes 6 N D operations, besides what is no
  product, which weighs more the narrower a model is. N is chosen so that the loss is lowest for what may be computed:
  in half an hour on two cores that is a few million parameters.
- *Little text.* The same text again teaches less: r repetitions of U tokens are worth U (1 + 15.4 (1 - e^(-r / 15.4)))
  (Muennighoff et al. 2023, arXiv:2305.16264). D is that, so little text gives a small model; more than
  `MOST_EPOCHS` passes are not made, whatever the time: what it took to memorise the text would only be thrown away.
- *Depth and width* grow together, 64 channels a layer and heads of 64 (nanochat's one dial).
- *Vocabulary*: it grows with the square root of the text, since a token has to be met often to be learned, and takes
  no more weights than all layers do (Tao et al. 2024, arXiv:2407.13623: a small model wants a small one).
- *Batch*: it grows with the square root of the tokens, as steps do (McCandlish et al. 2018, arXiv:1812.06162: what
  is too large for the noise of the gradient is wasted).
- *Learning rate*: falls with the square root of the width.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from rixin.training.shape import Shape

CHANNELS_PER_LAYER = 64
HEAD_SIZE = 64
FEWEST_LAYERS, MOST_LAYERS = 2, 32
MULTIPLE = 64  # of sizes: rows that kernels and quantised exports like
SMALLEST_VOCABULARY, LARGEST_VOCABULARY = 512, 65_536
SHORTEST_CONTEXT, LONGEST_CONTEXT = 256, 4096
MOST_EPOCHS = 8.0
SHARE_OF_PEAK = 0.6  # what the products of a whole step reach of the rate measured for one
OPERATIONS_PER_CHANNEL = 25_000  # what norms, gates and attention of a layer take for a channel of a token, as products
TOKENS_PER_PARAMETER = 20  # where tokens are given, and not the time that they may take
CHARACTERS_PER_TOKEN = {"wide": 1.15, "narrow": 3.5}  # of Chinese and the like, and of text in an alphabet
BATCH_GROWTH = 3.0
SMALLEST_BATCH, LARGEST_BATCH = 2048, 131_072
RATE, RATE_WIDTH = 4e-3, 256


@dataclass(frozen=True)
class Corpus:
    """The text: its characters, their bytes in UTF-8, and a length (characters) that 99 of 100 texts don't pass."""

    characters: int
    bytes: int
    long_text: int

    @property
    def characters_per_token(self) -> float:
        """About how many characters a token of a vocabulary made for this text writes."""
        wide = (self.bytes / max(self.characters, 1) - 1) / 2  # from 0, all ASCII, to 1, all Chinese
        share = min(max(wide, 0.0), 1.0)
        return CHARACTERS_PER_TOKEN["wide"] * share + CHARACTERS_PER_TOKEN["narrow"] * (1 - share)

    @property
    def tokens(self) -> float:
        """About how many tokens it has."""
        return self.characters / self.characters_per_token


@dataclass(frozen=True)
class Dial:
    """How much may be done: `operations` (floating-point), or `tokens` through the model, or `epochs` of the text.

    The first that is given counts; without any, `MOST_EPOCHS` passes at most.
    """

    operations: float | None = None
    tokens: float | None = None
    epochs: float | None = None


@dataclass(frozen=True)
class Given:
    """What a person wants as it is; None is for the dial."""

    vocabulary: int | None = None
    layers: int | None = None
    hidden: int | None = None
    context: int | None = None


@dataclass(frozen=True)
class Sizes:
    """What a new model is, and how it is trained: `tokens` in all, which is `epochs` of the text."""

    shape: Shape
    tokens: float
    epochs: float
    batch_tokens: int
    learning_rate: float


def operations_of(minutes: float, gigaflops: float) -> float:
    """What `minutes` of training compute, where products alone run at `gigaflops` (1e9 operations a second)."""
    return minutes * 60 * gigaflops * 1e9 * SHARE_OF_PEAK


def size(corpus: Corpus, dial: Dial, given: Given | None = None) -> Sizes:
    """The model for this text and this much work, with the lowest loss to be expected."""
    possible = [_sizes(corpus, dial, shape) for shape in _shapes(corpus, given or Given())]
    if dial.operations is None:
        fitting = [one for one in possible if one.shape.parameters * TOKENS_PER_PARAMETER <= one.tokens]
        return fitting[-1] if fitting else possible[0]
    return min(possible, key=lambda one: _loss(corpus, one))


def _shapes(corpus: Corpus, given: Given) -> Iterator[Shape]:
    """From the smallest to the largest that may be."""
    depths = range(FEWEST_LAYERS, MOST_LAYERS + 1) if given.layers is None else (given.layers,)
    for depth in depths:
        layers = depth if given.hidden is None or given.layers is not None else _depth_of(given.hidden)
        hidden = given.hidden or CHANNELS_PER_LAYER * depth
        yield _shape(corpus, given, layers, hidden)


def _shape(corpus: Corpus, given: Given, layers: int, hidden: int) -> Shape:
    plain = Shape(
        architecture="llama",
        layers=layers,
        hidden=hidden,
        heads=max(1, hidden // HEAD_SIZE),
        kv_heads=max(1, hidden // HEAD_SIZE),
        head_size=min(HEAD_SIZE, hidden),
        feed_forward=_multiple(hidden * 8 / 3),
        vocabulary=0,
        context=given.context or _context(corpus),
        norm_epsilon=1e-5,
        rope_theta=10_000.0,
        tied=True,
    )
    return replace(plain, vocabulary=given.vocabulary or _vocabulary(corpus, plain))


def _vocabulary(corpus: Corpus, shape: Shape) -> int:
    most = shape.parameters / shape.hidden
    wanted = 1.25 * math.sqrt(corpus.characters)
    return _multiple(min(max(min(wanted, most), SMALLEST_VOCABULARY), LARGEST_VOCABULARY))


def _context(corpus: Corpus) -> int:
    """The power of two that holds 99 of 100 texts whole."""
    tokens = corpus.long_text / corpus.characters_per_token + 2
    return min(max(1 << math.ceil(math.log2(tokens)), SHORTEST_CONTEXT), LONGEST_CONTEXT)


def _sizes(corpus: Corpus, dial: Dial, shape: Shape) -> Sizes:
    most = MOST_EPOCHS * corpus.tokens
    if dial.operations is not None:
        tokens = min(dial.operations / operations_per_token(shape), most)
    elif dial.tokens is not None:
        tokens = dial.tokens
    else:
        tokens = (dial.epochs or MOST_EPOCHS) * corpus.tokens
    return Sizes(
        shape,
        tokens=tokens,
        epochs=tokens / max(corpus.tokens, 1),
        batch_tokens=batch_tokens(tokens),
        learning_rate=learning_rate(shape.hidden),
    )


def _loss(corpus: Corpus, sizes: Sizes) -> float:
    again = max(sizes.epochs - 1, 0.0)
    worth = min(sizes.tokens, corpus.tokens) + corpus.tokens * 15.4 * (1 - math.exp(-again / 15.4))
    return float(406.4 / sizes.shape.parameters**0.34 + 410.7 / max(worth, 1.0) ** 0.28)


def operations_per_token(shape: Shape) -> float:
    """What a token takes in training: its products, and what all else takes of time, counted as products."""
    return 6 * shape.parameters + OPERATIONS_PER_CHANNEL * shape.layers * shape.hidden


def batch_tokens(tokens: float) -> int:
    """Tokens of one optimizer step of a training on so many."""
    return _multiple(min(max(BATCH_GROWTH * math.sqrt(tokens), SMALLEST_BATCH), LARGEST_BATCH), 1024)


def learning_rate(hidden: int) -> float:
    """The highest rate for a new model of this width."""
    return float(f"{RATE * math.sqrt(RATE_WIDTH / hidden):.2g}")


def _depth_of(hidden: int) -> int:
    return max(1, round(hidden / CHANNELS_PER_LAYER))


def _multiple(value: float, of: int = MULTIPLE) -> int:
    return max(of, round(value / of) * of)
