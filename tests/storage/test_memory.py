"""Memory stays flat however large the file is: measured in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

SIZE_BYTES = 200 * 1024 * 1024

# Peak resident memory before and after, in KiB, around a put and a read of a file that is one hole. ru_maxrss would also
# count what the forking parent had; VmHWM belongs to this program alone.
PROGRAM = """
import hashlib, io, sys
from pathlib import Path
from storage import open_store

def peak():
    return int(next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line).split()[1])

url, path, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = open_store(url, link_base="http://x", link_key=b"0" * 16)
small = hashlib.sha256(b"").hexdigest()
store.put("small", io.BytesIO(), size_bytes=0, media_type="video/mp4", sha256=small)
with open(path, "rb") as file:
    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
before = peak()
with open(path, "rb") as file:
    store.put("large.mp4", file, size_bytes=size, media_type="video/mp4", sha256=sha256)
after_put = peak()
with store.open("large.mp4") as file:
    while file.read(1024 * 1024):
        pass
print((after_put - before) // 1024, (peak() - after_put) // 1024)
"""


@pytest.mark.parametrize(("kind", "max_put_mib"), [("folder", 8), ("s3", 80)])
def test_putting_and_reading_200_mib_keeps_memory_flat(
    kind: str, max_put_mib: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(SIZE_BYTES)
    url = f"file://{tmp_path}/media"
    if kind == "s3":
        url = f"s3://{request.getfixturevalue('bucket')}?endpoint_url={request.getfixturevalue('moto_url')}"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, url, str(path), str(SIZE_BYTES)], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    put_mib, read_mib = map(int, done.stdout.split())
    print(f"{kind}: put +{put_mib} MiB, read +{read_mib} MiB")
    assert put_mib <= max_put_mib
    assert read_mib <= 8
