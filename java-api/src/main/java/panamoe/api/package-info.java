/**
 * MoE layers and language models for other frameworks, on the frameworks' own memory.
 *
 * <p>A {@link panamoe.api.Device} comes first; layers and models are created on it and closed with
 * it. A {@link panamoe.api.MoeLayer} is one layer, a {@link panamoe.api.TrainableModel} a whole
 * language model. One thread at a time may call a device and what was created on it. Failures that
 * a caller can act on are {@link panamoe.api.PanamoeException}s. Models that write text are in the
 * module panamoe-text.
 */
package panamoe.api;
