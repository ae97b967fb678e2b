*** Comments ***
The firmware answers `hello` on an emulated Nucleo-F446RE. For teams that use renode-test:
    renode-test --variable ELF:/path/firmware.elf first_light.robot
Virtual time passes in slices only, so that the same instructions run every time. No port is opened, nothing is fetched.

*** Settings ***
Library             OperatingSystem
Resource            ${RENODEKEYWORDS}
Suite Setup         Setup
Suite Teardown      Teardown
Test Teardown       Test Teardown

*** Variables ***
${ELF}              ${CURDIR}/../../../build/first_light/firmware/nucleo_f446re/firmware.elf
${PLATFORM}         ${CURDIR}/nucleo_f446re.repl
${UART}             ${TEMPDIR}/eishil-uart.bin
# The request as host/eishil/wire.py declares it: COBS(header, protocol version 1, CRC-32) and a zero byte.
@{HELLO}            0x02    0x01    0x02    0x01    0x02    0x01    0x01    0x01    0x05    0x37    0x6B    0x68    0xDA    0x00

*** Keywords ***
Create Nucleo
    Remove File         ${UART}
    Execute Command     using sysbus
    Execute Command     mach create "nucleo_f446re"
    Execute Command     machine LoadPlatformDescription @${PLATFORM}
    Execute Command     cpu PerformanceInMips 100
    Execute Command     emulation SetGlobalQuantum "0.001"
    Execute Command     emulation SetGlobalAdvanceImmediately true
    Execute Command     usart2 CreateFileBackend @${UART} true
    Execute Command     sysbus LoadELF @${ELF}
    Execute Command     emulation RunFor "0.02"

Send
    [Arguments]         @{bytes}
    FOR    ${byte}    IN    @{bytes}
        Execute Command     usart2 WriteChar ${byte}
    END

*** Test Cases ***
Firmware Answers Hello
    Create Nucleo
    File Should Be Empty        ${UART}
    Send                        @{HELLO}
    Execute Command             emulation RunFor "0.01"
    ${reply}=                   Get Binary File    ${UART}
    # The type of the reply, and one frame: a zero byte at its end and nowhere else.
    Should Be True              $reply[1] == 0x81
    Should Be True              $reply.index(0) == len($reply) - 1
