"""LLaMA-Factory's SFT on our rows. Runs in the peer's own virtual environment; prints one JSON line (`peer_watch.py`).

`python peer_llamafactory.py JOB`: JOB is JSON as for `peer_trl.py`, with LLaMA-Factory's arguments in `config` and the
name of its `template`.
"""
# mypy: ignore-errors

import json
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

# It imports torchaudio even for text, whose wheel wants CUDA's libraries. An empty one in its place is never used.
sys.modules["torchaudio"] = ModuleType("torchaudio")
sys.modules["torchaudio"].__spec__ = ModuleSpec("torchaudio", None)

from llamafactory.train.tuner import run_exp  # noqa: E402

from peer_watch import Watch  # noqa: E402

job = json.loads(sys.argv[1])
data = Path(job["out"]) / "data"
data.mkdir(parents=True, exist_ok=True)
rows = [
    {"instruction": row["question"], "input": "", "output": row["answer"]}
    for row in json.loads(Path(job["rows"]).read_text(encoding="utf-8"))
]
(data / "rows.json").write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
(data / "dataset_info.json").write_text(json.dumps({"rows": {"file_name": "rows.json"}}))
watch = Watch()
run_exp(
    {
        "model_name_or_path": job["model"],
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "lora_rank": 16,
        "lora_alpha": 32,
        "lora_target": "all",
        "dataset": "rows",
        "dataset_dir": str(data),
        "template": job["template"],
        "output_dir": job["out"],
        "max_steps": job["steps"],
        "num_train_epochs": 1.0,
        "seed": job["seed"],
        "learning_rate": job["learning_rate"],
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
        **job["config"],
    },
    callbacks=[watch],
)
watch.say()
