#include "integrity.h"

#include "frame.h"

bool integrity_verify_model(const model_t *model)
{
    uint32_t crc = 0;
    for (uint16_t i = 0; i < model->n_blocks; i++) {
        crc = frame_crc32(crc, model->block[i].data, model->block[i].bytes);
    }
    return crc == model->crc32;
}
