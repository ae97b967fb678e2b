"""Stand-in for PlatformIO's native platform: a program for this machine from C sources, nothing else."""

from SCons.Script import Default, DefaultEnvironment

env = DefaultEnvironment()
Default(env.Alias("buildprog", env.BuildProgram()))
