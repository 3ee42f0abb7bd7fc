/**
 * The families of released models: what their configurations mean, and which tensors their weights
 * are.
 */
package panamoe.model.family;
