"""The held-out loss of adapters, all measured alike: by transformers and PEFT, in float32, a row at a time.

`python peer_judge.py MODEL ROWS ADAPTER…` prints one JSON line: for each adapter nats a token of the answers, up to and
with the token that ends them. Runs in the peer's virtual environment.
"""
# mypy: ignore-errors

import json
import sys
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

model_folder, rows_file, *adapters = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(model_folder)
rows = []
for row in json.loads(Path(rows_file).read_text(encoding="utf-8")):
    question = [{"role": "user", "content": row["question"]}]
    start = tokenizer.apply_chat_template(question, add_generation_prompt=True, tokenize=False)
    prompt = tokenizer(start, add_special_tokens=False)["input_ids"]
    answer = tokenizer(row["answer"], add_special_tokens=False)["input_ids"]
    rows.append((prompt, [*answer, tokenizer.eos_token_id]))

losses = []
for adapter in adapters:
    base = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, adapter).eval()
    total = 0.0
    with torch.no_grad():
        for prompt, answer in rows:
            logits = model(torch.tensor([[*prompt, *answer]])).logits[0, len(prompt) - 1 : -1]
            total += torch.nn.functional.cross_entropy(logits, torch.tensor(answer), reduction="sum").item()
    losses.append(total / sum(len(answer) for _, answer in rows))
print(json.dumps(losses))
