"""Stand-in for PlatformIO's ststm32 platform: an ELF and its raw binary from bare C sources, nothing else."""

from SCons.Script import Builder, Default, DefaultEnvironment

env = DefaultEnvironment()
PREFIX = "arm-none-eabi-"
env.Replace(
    AR=PREFIX + "gcc-ar",
    AS=PREFIX + "as",
    CC=PREFIX + "gcc",
    CXX=PREFIX + "g++",
    OBJCOPY=PREFIX + "objcopy",
    RANLIB=PREFIX + "gcc-ranlib",
)
env.Append(
    LIBS=["c", "gcc", "m"],
    BUILDERS={"ElfToBin": Builder(action="$OBJCOPY -O binary $SOURCES $TARGET", suffix=".bin")},
)
elf = env.BuildProgram()
Default(env.Alias("buildprog", [elf, env.ElfToBin("$BUILD_DIR/firmware", elf)]))
