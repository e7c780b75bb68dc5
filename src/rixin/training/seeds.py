"""Every step draws its chance anew from the run's seed, so that there is no generator's state to carry along."""

import hashlib
import random

import numpy as np
import torch


def seed_everything(seed: int, step: int, part: int) -> None:
    """Seed the global generators of torch, numpy and Python for one part of one step (-1: for making the batch).

    By part and not by process, so that it does not matter which process computes it.
    """
    digest = hashlib.sha256(f"{seed}/{step}/{part}".encode()).digest()
    number = int.from_bytes(digest[:8], "little")
    torch.manual_seed(number)
    np.random.seed(number % 2**32)  # what others may use is the global one
    random.seed(number)
