/** Composes the rows of a weight from the rows of stored tensors while they are loaded. */
package panamoe.checkpoint.rows;
