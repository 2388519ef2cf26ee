"""What may happen to any file: what the tests of damaged runs and of damaged results share."""


def emptied(file):
    file.write_bytes(b"")


def cut(file):
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def missing(file):
    file.unlink()


def a_folder(file):
    file.unlink()
    (file / "inside").mkdir(parents=True)
