import subprocess
import sys
import time

import fewskin


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_import_fewskin_loads_neither_torch_nor_pandas() -> None:
    code = "import fewskin, sys; print(*(m.partition('.')[0] for m in sys.modules))"
    loaded = set(run_python(code).split())
    assert not loaded & {"torch", "pandas", "numpy", "scipy", "sklearn", "hydra", "matplotlib"}


def test_import_fewskin_takes_less_than_300_ms() -> None:
    # The bound; the best of three, since a busy machine is not the import's fault.
    code = "import time; t = time.perf_counter(); import fewskin; print(time.perf_counter() - t)"
    assert min(float(run_python(code)) for _ in range(3)) < 0.3


def test_help_takes_less_than_a_second() -> None:
    def once() -> float:
        started = time.perf_counter()
        run_python("from fewskin.cli import main; main(['--help'])")
        return time.perf_counter() - started

    assert min(once() for _ in range(3)) < 1.0


def test_every_stage_is_a_function_of_the_package() -> None:
    from fewskin.provenance import Stage

    stages = [name for name in fewskin.__all__ if name not in ("__version__", "run")]
    assert {"ingest", "check", "split"} <= set(stages)
    for name in stages:
        made = getattr(fewskin, name)
        assert isinstance(made, Stage)
        assert made.name == name
        assert name in dir(fewskin)


def test_run_is_a_function_of_the_package() -> None:
    assert callable(fewskin.run)


def test_a_wrong_name_is_an_attribute_error_that_lists_the_right_ones() -> None:
    assert not hasattr(fewskin, "digest")
