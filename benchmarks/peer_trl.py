"""TRL's SFTTrainer on our rows. Runs in the peer's own virtual environment; prints one JSON line (`peer_watch.py`).

`python peer_trl.py JOB`: JOB is JSON with `model`, `rows`, `out`, `seed`, `steps` (-1: all rows once), `learning_rate`
and `config`, fields of SFTConfig. What isn't named stays as TRL has it.
"""
# mypy: ignore-errors

import json
import sys
from pathlib import Path

from datasets import Dataset
from peft import LoraConfig
from transformers import AutoTokenizer
from trl import SFTConfig, SFTTrainer

from peer_watch import Watch

job = json.loads(sys.argv[1])
# A prompt and its completion: of such rows TRL by itself learns the completion only, as we do.
rows = [
    {
        "prompt": [{"role": "user", "content": row["question"]}],
        "completion": [{"role": "assistant", "content": row["answer"]}],
    }
    for row in json.loads(Path(job["rows"]).read_text(encoding="utf-8"))
]
watch = Watch()
trainer = SFTTrainer(
    model=job["model"],
    args=SFTConfig(
        output_dir=job["out"],
        max_steps=job["steps"],
        num_train_epochs=1,
        seed=job["seed"],
        learning_rate=job["learning_rate"],
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        **job["config"],
    ),
    train_dataset=Dataset.from_list(rows),
    peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
    processing_class=AutoTokenizer.from_pretrained(job["model"]),
    callbacks=[watch],
)
trainer.train()
watch.say()
trainer.save_model(job["out"])
