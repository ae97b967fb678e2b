"""PlatformIO extra script: generated sources, link flags, build id, and the target `flash`.

Runs inside PlatformIO's SCons, in both worlds of docs/firmware.md; it knows nothing of the Python packages of eishil.
"""
# ruff: noqa: F821

import hashlib
import os
import subprocess
from pathlib import Path

Import("env")

PROJECT = Path(env.subst("$PROJECT_DIR"))
FIRMWARE = PROJECT / "firmware"
GENERATED = Path(os.environ.get("EISHIL_GENERATED_DIR", FIRMWARE / "generated")).resolve()
NAME = env.subst("$PIOENV")
EMBEDDED = not NAME.startswith("native")
PORT = [FIRMWARE / "port" / folder for folder in env.GetProjectOption("custom_port").split()]


def build_flags():
    """The flags of platformio.ini (and of the environment), as a flat list."""
    return [word for line in env.get("BUILD_FLAGS", []) for word in str(line).split()]


def compiler_version():
    """First line of the compiler's `--version`: another compiler makes another build."""
    compiler = "arm-none-eabi-gcc" if EMBEDDED else "gcc"
    path = env["ENV"].get("PATH", os.defpath)
    answer = subprocess.run([compiler, "--version"], capture_output=True, text=True, env={**os.environ, "PATH": path})
    return answer.stdout.splitlines()[0]


def build_id():
    """First 8 bytes of a SHA-256 over sources, generated files, flags, compiler and environment; no absolute paths."""
    digest = hashlib.sha256("\n".join([NAME, compiler_version(), *build_flags()]).encode())
    named = [(path.relative_to(FIRMWARE).as_posix(), path) for path in sources()]
    named += [(f"generated/{path.name}", path) for path in GENERATED.glob("*.[ch]")]
    for name, path in sorted(named):
        data = path.read_bytes()
        digest.update(f"\n{name} {len(data)}\n".encode())
        digest.update(data)
    return digest.digest()[:8]


def sources():
    """Hand-written files that shape this environment's image."""
    folders = [FIRMWARE / "core", FIRMWARE / "app", *PORT]
    files = [path for folder in folders for path in folder.glob("*") if path.suffix in {".c", ".h", ".S", ".ld"}]
    return [*files, FIRMWARE / "port" / "port.h", Path(FIRMWARE / "toolchain" / "build_script.py")]


def fail_without_model():
    if not (GENERATED / "model.c").is_file():
        print(f"error: {GENERATED} has no model.c; `eishil generate RECIPE` makes one")
        env.Exit(1)


fail_without_model()
env.Replace(PROGNAME="firmware", PROGSUFFIX=".elf")
env.Append(
    CPPPATH=[str(GENERATED), str(FIRMWARE / "core"), str(FIRMWARE / "port"), *map(str, PORT)],
    CPPDEFINES=[("EISHIL_BUILD_ID", ",".join(f"0x{byte:02x}" for byte in build_id()))],
    # Debug information must not say where the checkout lies: same sources, same bytes. The last map is tried first.
    CCFLAGS=[f"-ffile-prefix-map={PROJECT}=.", f"-ffile-prefix-map={GENERATED}=firmware/generated"],
)
if EMBEDDED:
    # PlatformIO hands build_flags to the compiler only; the linker chooses its multilib from these.
    chip = env.BoardConfig().get("build.mcu")[:11]  # what pyOCD and its packs call it: without package and temperature
    machine = [flag for flag in build_flags() if flag.startswith("-m")]
    link = ["-nostartfiles", "--specs=nano.specs", "-Wl,--gc-sections,--fatal-warnings", "-Wl,--build-id=none"]
    env.Append(LINKFLAGS=[*machine, *link], LIBPATH=[str(FIRMWARE / "port" / "cortex_m")])
    env.AddCustomTarget(
        "flash",
        "$BUILD_DIR/firmware.elf",
        f'"$PYTHONEXE" -m pyocd load --no-wait --target {chip} "$BUILD_DIR/firmware.elf"',
        title="Flash",
        description="Write the image with pyOCD over ST-LINK (not tried on hardware)",
    )
else:
    env.Append(LINKFLAGS=[flag for flag in build_flags() if flag.startswith("-fsanitize")], LIBS=["m"])
env.BuildSources("$BUILD_DIR/generated", str(GENERATED))
