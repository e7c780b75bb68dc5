"""What there is of a new model before it learns anything: its sizes and its tokenizer, made from the text."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from rixin.training.precision import choose_precision
from rixin.training.recipes import Pretrain
from rixin.training.shape import Shape, config_of, shape_of
from rixin.training.sizing import Corpus, Dial, Given, operations_of, size
from rixin.training.tokenizer import END_OF_TEXT, save_tokenizer, thinned, train_tokenizer

FOLDER = "base"
CONFIG = "config.json"
# Half a minute of BPE. On 20 million characters of poems a tenth gives the same tokens a character to three digits.
TOKENIZER_CHARACTERS = 3_000_000


def conceive(folder: Path, recipe: Pretrain, read: Callable[[], Sequence[str]], *, seconds: float | None) -> Path:
    """The folder of the model to be, within the run's: config.json and the tokenizer, but no weights.

    `read` gives the texts, `seconds` is how long it may train if time is the dial; how fast this machine multiplies is
    measured. What is there already stays as it is. Raises InvalidRequest.
    """
    base = folder / FOLDER
    if (base / CONFIG).is_file():
        return base
    base.mkdir(parents=True, exist_ok=True)
    texts = read()
    dial = Dial(None if seconds is None else _operations(seconds), recipe.tokens, recipe.epochs)
    given = Given(recipe.vocabulary, recipe.layers, recipe.hidden, recipe.context)
    wanted = size(corpus_of(texts), dial, given).shape
    tokenizer = train_tokenizer(thinned(texts, TOKENIZER_CHARACTERS), wanted.vocabulary)
    save_tokenizer(tokenizer, base, context=wanted.context)
    end = tokenizer.token_to_id(END_OF_TEXT)
    config = config_of(wanted) | {"bos_token_id": end, "eos_token_id": end}
    draft = base / f".{CONFIG}"
    draft.write_text(json.dumps(config, indent=2), encoding="utf-8")
    draft.replace(base / CONFIG)  # last: it says that the folder is whole
    return base


def shape_in(base: Path) -> Shape:
    """The shape that `conceive` settled."""
    return shape_of(json.loads((base / CONFIG).read_text(encoding="utf-8")))


def corpus_of(texts: Sequence[str]) -> Corpus:
    """What the sizes depend on."""
    lengths = sorted(map(len, texts))
    return Corpus(
        characters=sum(lengths),
        bytes=sum(len(text.encode(errors="surrogatepass")) for text in texts),
        long_text=lengths[round(0.99 * (len(lengths) - 1))] if lengths else 0,
    )


def _operations(seconds: float) -> float:
    precision = choose_precision()
    return operations_of(seconds / 60, precision.gflops[str(precision.dtype).removeprefix("torch.")])
