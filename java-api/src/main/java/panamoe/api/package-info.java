/**
 * MoE layers and language models for other frameworks, on the frameworks' own memory.
 *
 * <p>Layers and models are created on a {@link panamoe.api.Device} and closed with it. A {@link
 * panamoe.api.MoeLayer} is one layer, a {@link panamoe.api.TrainableModel} a whole language model.
 * One thread at a time may call a device and what was created on it. Failures that a caller can act
 * on are {@link panamoe.api.PanamoeException}s. The module panamoe-text generates text.
 */
package panamoe.api;
