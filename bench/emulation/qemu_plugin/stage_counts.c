/* A plugin of QEMU's translator: how often each instruction was executed and how often it was left for somewhere else
 * than the next one, by stage of the program; how often a flash accelerator would have had to wait; and how many cycles
 * accesses that are not aligned take.
 *
 *     -plugin libstage_counts.so,out=FILE,stage=ADDRESS,stage=ADDRESS,...,handler=ADDRESS,...
 *
 * Stage k is what runs between the call of the k-th address and its return, all that it calls included but for further
 * stages; stage 0 is everything else, interrupt handlers above all. A shadow of the call stack tells: a call remembers
 * where it returns to.
 * Written at the end:
 *     insn STAGE ADDRESS EXECUTED LEFT
 *     flash STAGE WAIT_CYCLES
 *     split STAGE CYCLES
 *     calls STAGE ENTRIES LEAST_INSTRUCTIONS MOST_INSTRUCTIONS       (inclusive) */
#include "armv7m.h"
#include "flash_lines.h"
#include "qemu_plugin.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STAGES   32U
#define SLOTS    65536U /* instructions; a power of two, far more than any image has */
#define FRAMES   64U
#define HANDLERS 4U

typedef struct {
    uint32_t address;
    uint32_t size;
    bool used;
    bool is_call;
    bool is_return;
    bool is_handler;
    unsigned entered_stage; /* 0: none begins here */
    uint64_t executed[STAGES];
    uint64_t left[STAGES];
} insn_t;

typedef struct {
    uint32_t returns_to;
    unsigned stage;
    uint64_t entered_at; /* instruction count at the entry of `stage` by this frame */
    bool entered;
} frame_t;

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;
QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv);

static insn_t *slots;
static frame_t frames[FRAMES];
static unsigned depth;
static insn_t *last;
static unsigned last_stage;
static uint64_t executed;
static uint32_t entry[STAGES];
static unsigned n_stages = 1;
static uint32_t handlers[HANDLERS];
static unsigned n_handlers;
static uint64_t handler_entered_at;
static unsigned handler_depth; /* of the running handler; 0: none. They do not nest */
static insn_t *interrupted;    /* what was executed before the running handler */
static unsigned interrupted_stage;
static uint64_t wait_cycles[STAGES], split_cycles[STAGES], entries[STAGES], least[STAGES], most[STAGES];
static code_flash_t code_flash = {.lines = {.size = CODE_LINES}};
static lines_t data_flash = {.size = DATA_LINES};
static const char *out_path;

static insn_t *slot_of(uint32_t address)
{
    uint32_t i = (address >> 1) * 2654435761U % SLOTS;
    while (slots[i].used && slots[i].address != address) {
        i = (i + 1U) % SLOTS;
    }
    return &slots[i];
}

static void frame_close(const frame_t *frame)
{
    if (frame->entered) {
        const uint64_t count = executed - frame->entered_at;
        const unsigned k = frame->stage;
        least[k] = entries[k] == 0U || count < least[k] ? count : least[k];
        most[k] = count > most[k] ? count : most[k];
        entries[k]++;
    }
}

static void frame_push(uint32_t returns_to)
{
    if (depth + 1U < FRAMES) {
        frames[depth + 1U] = (frame_t){.returns_to = returns_to, .stage = frames[depth].stage};
        depth++;
    }
}

static void frame_pop_to(uint32_t address)
{
    for (unsigned i = depth; i > 0U; i--) {
        if (frames[i].returns_to == address) {
            for (; depth >= i; depth--) {
                frame_close(&frames[depth]);
            }
            return;
        }
    }
}

/* What a handler took is no part of the calls that it interrupted. */
static void leave_out_of_calls(uint64_t instructions)
{
    for (unsigned i = 0; i <= depth; i++) {
        frames[i].entered_at += instructions;
    }
}

static void follow_jump(const insn_t *from, uint32_t to)
{
    if (from->is_call) {
        frame_push(from->address + from->size);
    } else {
        frame_pop_to(to);
    }
}

/* QEMU takes interrupts between blocks, right after jumps above all: where that one led shows after the handler. */
static void handler_enter(void)
{
    if (depth + 1U < FRAMES) {
        frames[++depth] = (frame_t){.returns_to = 1U}; /* no address is odd */
        handler_depth = depth;
        handler_entered_at = executed;
        interrupted = last;
        interrupted_stage = last_stage;
        last = NULL;
    }
}

static void handler_leave(void)
{
    depth--;
    handler_depth = 0U;
    leave_out_of_calls(executed - handler_entered_at);
    last = interrupted;
    last_stage = interrupted_stage;
}

static void on_instruction(unsigned vcpu, void *data)
{
    insn_t *insn = data;
    (void)vcpu;
    if (handler_depth != 0U && depth == handler_depth && last != NULL && last->is_return) {
        handler_leave();
    }
    if (insn->is_handler) {
        handler_enter();
    }
    const bool sequential = last != NULL && insn->address == last->address + last->size;
    if (last != NULL && !sequential) {
        last->left[last_stage]++;
        follow_jump(last, insn->address);
    }
    if (insn->entered_stage != 0U) {
        frame_close(&frames[depth]); /* a tail call ends what it leaves */
        frames[depth].stage = insn->entered_stage;
        frames[depth].entered = true;
        frames[depth].entered_at = executed;
    }
    const unsigned stage = frames[depth].stage;
    wait_cycles[stage] += flash_fetch_waits(&code_flash, insn->address, sequential, executed);
    wait_cycles[stage] += flash_fetch_waits(&code_flash, insn->address + insn->size - 2U, true, executed);
    insn->executed[stage]++;
    executed++;
    last = insn;
    last_stage = stage;
}

static void on_access(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *data)
{
    (void)vcpu;
    (void)data;
    split_cycles[last_stage] += further_pieces(address, 1U << qemu_plugin_mem_size_shift(info));
    wait_cycles[last_stage] += flash_load_waits(&data_flash, address);
}

static bool is_handler(uint32_t address)
{
    unsigned k = 0;
    while (k < n_handlers && handlers[k] != address) {
        k++;
    }
    return k < n_handlers;
}

static unsigned stage_entered_at(uint32_t address)
{
    unsigned k = n_stages - 1U;
    while (k > 0U && entry[k] != address) {
        k--;
    }
    return k;
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        struct qemu_plugin_insn *translated = qemu_plugin_tb_get_insn(tb, i);
        const uint32_t address = (uint32_t)qemu_plugin_insn_vaddr(translated);
        insn_t *insn = slot_of(address);
        if (!insn->used) {
            uint16_t code[2] = {0, 0};
            insn->used = true;
            insn->address = address;
            insn->size = (uint32_t)qemu_plugin_insn_size(translated);
            memcpy(code, qemu_plugin_insn_data(translated), insn->size);
            insn->is_call = is_call(code, insn->size);
            insn->is_return = is_return(code);
            insn->is_handler = is_handler(address);
            insn->entered_stage = stage_entered_at(address);
        }
        qemu_plugin_register_vcpu_insn_exec_cb(translated, on_instruction, QEMU_PLUGIN_CB_NO_REGS, insn);
        qemu_plugin_register_vcpu_mem_cb(translated, on_access, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, NULL);
    }
}

static void write_insn(FILE *out, const insn_t *insn)
{
    for (unsigned k = 0; k < n_stages; k++) {
        if (insn->executed[k] != 0U) {
            fprintf(out, "insn %u %#x %llu %llu\n", k, insn->address, (unsigned long long)insn->executed[k],
                    (unsigned long long)insn->left[k]);
        }
    }
}

static void on_exit_write(qemu_plugin_id_t id, void *data)
{
    (void)id;
    (void)data;
    FILE *out = fopen(out_path, "w");
    if (out == NULL) {
        perror(out_path);
        return;
    }
    for (uint32_t i = 0; i < SLOTS; i++) {
        if (slots[i].used) {
            write_insn(out, &slots[i]);
        }
    }
    for (unsigned k = 0; k < n_stages; k++) {
        fprintf(out, "flash %u %llu\n", k, (unsigned long long)wait_cycles[k]);
        fprintf(out, "split %u %llu\n", k, (unsigned long long)split_cycles[k]);
        fprintf(out, "calls %u %llu %llu %llu\n", k, (unsigned long long)entries[k], (unsigned long long)least[k],
                (unsigned long long)most[k]);
    }
    fputs("end\n", out);
    fclose(out);
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "out=", 4) == 0) {
            out_path = strdup(argv[i] + 4);
        } else if (strncmp(argv[i], "stage=", 6) == 0 && n_stages < STAGES) {
            entry[n_stages++] = (uint32_t)strtoul(argv[i] + 6, NULL, 0);
        } else if (strncmp(argv[i], "handler=", 8) == 0 && n_handlers < HANDLERS) {
            handlers[n_handlers++] = (uint32_t)strtoul(argv[i] + 8, NULL, 0);
        } else {
            fprintf(stderr, "stage_counts: unknown argument %s\n", argv[i]);
            return 1;
        }
    }
    slots = calloc(SLOTS, sizeof *slots);
    if (out_path == NULL || slots == NULL) {
        fputs("stage_counts: needs out=FILE\n", stderr);
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, on_exit_write, NULL);
    return 0;
}
