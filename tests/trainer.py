"""Train the small task in a process of its own: `python trainer.py FOLDER STEPS [SAVE_EVERY]`."""

import sys
from pathlib import Path

import torch
from accelerate import Accelerator
from tasks import SmallTask

from fundiff.training.loop import train
from fundiff.training.plan import Plan


def main(folder: str, steps: str, save_every: str = "1") -> None:
    """Train, and say each step."""
    torch.set_num_threads(1)
    plan = Plan(
        steps=int(steps),
        batch_size=8,
        learning_rate=1e-3,
        warmup=5,
        decay=0.2,
        clip=1.0,
        ema=0.99,
        report_every=1,
        save_every=int(save_every),
    )
    accelerator = Accelerator(cpu=True)
    dropout = 0.1 if accelerator.num_processes == 1 else 0.0
    task = SmallTask(dropout=float(dropout and save_every == "1"))
    for report in train(task, plan, Path(folder), accelerator=accelerator):
        if accelerator.is_main_process:
            print(report.step, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
