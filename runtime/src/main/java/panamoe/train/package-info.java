/** Training: the optimizer and its steps, runs, and their checkpoints. */
package panamoe.train;
