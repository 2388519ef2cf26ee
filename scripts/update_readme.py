"""Put what was found into the README, from the manifests in results/: python scripts/update_readme.py."""

from normscape.config import CONFIGS
from normscape.entry import entry_point
from normscape.errors import UserError
from normscape.report import README_MARKS, figures_in, readme_block

PROJECT = CONFIGS.parent


def main() -> None:
    """Replace what stands between the marks."""
    readme = PROJECT / "README.md"
    begin, end = README_MARKS
    before, found, rest = readme.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise UserError(f"README.md: expected {begin} and, after it, {end}")
    readme.write_text(before + readme_block(figures_in(PROJECT / "results" / "laptop")) + after)


if __name__ == "__main__":
    with entry_point():
        main()
