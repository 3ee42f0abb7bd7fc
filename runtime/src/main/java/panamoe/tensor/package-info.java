/** Tensors, their element types, and the scopes that free them. */
package panamoe.tensor;
