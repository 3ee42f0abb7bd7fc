/** Rows of a weight from stored tensors, decoded and composed while they are loaded. */
package panamoe.checkpoint.rows;
