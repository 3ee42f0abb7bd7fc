/** Files of {@code torch.save} as data, without Python. */
package panamoe.checkpoint.torch;
