"""Training: the loop, its engine, schedules, and states on disk."""

from fei_sklearn.training.loop import TrainingResult, train
from fei_sklearn.training.options import TrainingOptions

__all__ = ["TrainingOptions", "TrainingResult", "train"]
