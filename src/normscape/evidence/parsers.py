"""The options of the commands that make figures, without what takes a second to import: their help needs no more."""

from pathlib import Path

from normscape.process.entry import Parser


def figures_parser(project: Path) -> Parser:
    """Return the parser of `experiments/reproduce.py`; ``project`` is the folder that has ``results``."""
    parser = Parser(prog="reproduce.py", description="Reproduce figures of a paper.")
    parser.add_argument("figure", nargs="?", help="figure number, text (claims without a figure) or all")
    parser.add_argument("--family", default="santurkar2018", help="the folder of its figures in experiments/")
    parser.add_argument("--scale", default="auto", help="of configs/scale; auto: paper on a GPU, else laptop")
    parser.add_argument("--seeds", help="comma-separated, e.g. 0,1,2, or a range, e.g. 0-9 (default: 0)")
    parser.add_argument("--dln-seeds", help="the same for the deep linear nets (default: as --seeds)")
    parser.add_argument(
        "--workers", type=int, default=0, help="runs side by side on the GPU if there is one, else on the CPU"
    )
    parser.add_argument("--launcher", default="local", help="local, ray or slurm: what trains the runs, as in a sweep")
    parser.add_argument("--dry-run", action="store_true", help="say what would be trained, and stop")
    parser.add_argument("--add", action="store_true", help="keep the runs that the results have, and add seeds")
    parser.add_argument("--renew", action="store_true", help="with --add: train anew what would be another run today")
    parser.add_argument("--paper", action="store_true", help="draw the paper's own curves behind ours")
    parser.add_argument("--from-results", action="store_true", help="redraw from results/, without any run")
    parser.add_argument("--config-dir", type=Path, help="a folder of settings of your own, as train.py takes it")
    parser.add_argument("--results", type=Path, default=project / "results", help="where figures go")
    parser.add_argument("overrides", nargs="*", help="settings for every run, e.g. tracker=none device=cpu")
    return parser


def audit_parser() -> Parser:
    """Return the parser of `experiments/audit.py`; the options that it does not know are those of `figures_parser`."""
    parser = Parser(prog="audit.py", description="Measure a normalisation or a network of yours.", allow_abbrev=False)
    parser.add_argument("--norm", help="a class called as MyNorm(num_features), e.g. mypackage.MyNorm")
    parser.add_argument("--model", help="a network, any class or function; with --norm it has to take norm=")
    parser.epilog = (
        "Other options are those of reproduce.py; settings of norm and model, e.g. +norm.eps=1e-4, are of yours."
    )
    return parser
