"""
The Hugging Face Hub: a model as a file that runs no code, with a card that says how to use it.

Without a name of a repository nothing is sent. ``python examples/hub.py you/mazes`` uploads the folder.
"""

import sys
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, ModelCard, ModelCardData, hf_hub_download

from sb3_distral import DistralA2C, load_policy, save_policy, tasks

FILE = "policies.zip"
USE = """
# Distral on `{suite}`

One policy for each of {n_tasks} tasks and the distilled policy of all, trained for {steps} steps.

```python
from huggingface_hub import hf_hub_download
from sb3_distral import DistralA2C, load_policy

model = load_policy(hf_hub_download("{repository}", "policies.zip"))  # runs no code of the file
model.task_policy("{task}")
DistralA2C(new_tasks, distilled_policy=model.distilled_policy)
```
"""


def main(folder: Path = Path("runs/hub"), repository: str | None = None, timesteps: int = 200_000) -> Any:
    """Write the folder, upload it where a repository is named, and load the model as others do."""
    model = DistralA2C(tasks.make("grid-mazes", n_envs_per_task=8, seed=0), seed=0, device="cpu").learn(timesteps)
    folder.mkdir(parents=True, exist_ok=True)
    save_policy(model, folder / FILE)
    data = ModelCardData(library_name="sb3-distral", tags=["reinforcement-learning", "distral"])
    text = USE.format(
        suite="grid-mazes",
        n_tasks=model.n_tasks,
        steps=model.num_timesteps,
        repository=repository or "you/mazes",
        task=model.task_names[0],
    )
    ModelCard(f"---\n{data.to_yaml()}\n---\n{text}").save(folder / "README.md")
    if repository is None:
        return load_policy(folder / FILE)
    HfApi().create_repo(repository, exist_ok=True)
    HfApi().upload_folder(repo_id=repository, folder_path=folder)
    return load_policy(hf_hub_download(repository, FILE))


if __name__ == "__main__":
    print(main(repository=sys.argv[1] if len(sys.argv) > 1 else None).task_names)
