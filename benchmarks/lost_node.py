"""Lose nodes in the middle of a fit under torchrun, let them come back, and compare weights.

    python benchmarks/lost_node.py

Two of torchrun's agents on this machine play two nodes of one CPU process each. They fit without
interruption, and then twice again, writing their state after every step. Once a state is on disk,
the second agent or both are killed with their processes, and started again. The fit must go on from
the state and end with the weights of the uninterrupted fit, bit by bit. POSIX only.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np

N_NODES = 2

#: Numbers of the nodes that are lost, by the title of a run.
LOST_NODES = {"no node lost": (), "second node lost": (1,), "both nodes lost": (0, 1)}

N_EPOCHS = 10
N_STEPS_PER_EPOCH = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fit", metavar="FOLDER", help="be one of the processes of a fit")
    args = parser.parse_args()
    if args.fit is not None:
        fit(Path(args.fit))
        return
    checksums = set()
    for title, lost in LOST_NODES.items():
        with tempfile.TemporaryDirectory() as folder:
            ends = run_job(Path(folder), lost)
        for rank, end in enumerate(ends):
            print(f"{title}, rank {rank}: {end['steps']} steps, weights {end['weights']}")
            checksums.add(end["weights"])
        if len(ends) != N_NODES:
            sys.exit(f"{title}: {len(ends)} of {N_NODES} processes came to their end")
    if len(checksums) != 1:
        sys.exit("the weights differ")


# The nodes


@dataclass(frozen=True)
class Job:
    """A job of two nodes.

    Attributes
    ----------
    folder : Path
        Folder that the nodes share.
    port : int
        Port on which the first node waits for the other.
    """

    folder: Path
    port: int

    def start_node(self) -> subprocess.Popen[bytes]:
        """Start the agent of a node, as the leader of a group of processes."""
        agent = [sys.executable, "-m", "torch.distributed.run"]
        rendezvous = ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{self.port}"]
        size = ["--nnodes", "2", "--nproc-per-node", "1", "--max-restarts", "3"]
        place = ["--rdzv-id", "job", "--local-addr", "127.0.0.1"]
        command = [*agent, *size, *rendezvous, *place, __file__, "--fit", str(self.folder)]
        environment = os.environ | {
            "OMP_NUM_THREADS": "1",
            # else a new agent waits for an address that the others exchanged in the first round
            "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
        }
        return subprocess.Popen(command, env=environment, start_new_session=True)

    def ends(self) -> list[dict]:
        """Return what the processes wrote at their ends, by rank."""
        files = sorted(self.folder.glob("*.json"))
        return [json.loads(file.read_text()) for file in files]


def run_job(folder: Path, lost: tuple[int, ...]) -> list[dict]:
    """Fit on two nodes, some of which are lost and replaced, and return what they wrote."""
    job = Job(folder, free_port())
    nodes = []
    for _ in range(N_NODES):
        nodes.append(job.start_node())
        time.sleep(1)  # the first agent has to be the one that waits on the port
    if lost:
        while not list(folder.rglob("*.safetensors")):
            time.sleep(0.05)
    for number in lost:
        kill(nodes[number])
    for number in lost:
        nodes[number] = job.start_node()
    for node in nodes:
        node.wait()
    return job.ends()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def kill(node: subprocess.Popen[bytes]) -> None:
    """Kill an agent and its process."""
    children = Path(f"/proc/{node.pid}/task/{node.pid}/children").read_text()
    processes = [node.pid, *map(int, children.split())]
    for pid in processes:
        os.kill(pid, signal.SIGKILL)
    node.wait()


# A process of a fit


def fit(folder: Path) -> None:
    """Fit as one of two processes, and write how many steps it took and a checksum of weights."""
    from torch.optim.optimizer import register_optimizer_step_post_hook

    from fei_sklearn import FEIEmbedder
    from fei_sklearn.training import checkpointing

    checkpointing.EVERY_SECONDS = 0.0
    checkpointing.LARGEST_SHARE = 1e9
    steps = []
    register_optimizer_step_post_hook(lambda *_: steps.append(1))
    embedder = FEIEmbedder(
        16,
        max_epochs=N_EPOCHS,
        min_epoch_steps=N_STEPS_PER_EPOCH,
        batch_size=16,
        n_iter_no_change=None,
        validation_fraction=None,
        pooling="mean",
        device="cpu",
        n_devices="auto",
        checkpoint_dir=folder / "runs",
        random_state=0,
    )
    X = np.random.default_rng(0).normal(size=(64, 1, 64)).cumsum(axis=-1)
    embedder.fit(X)
    weights = b"".join(embedder.weights_[name].tobytes() for name in sorted(embedder.weights_))
    end = {"steps": len(steps), "weights": crc32(weights)}
    rank = os.environ["RANK"]
    (folder / f"{rank}.json").write_text(json.dumps(end))


if __name__ == "__main__":
    main()
