/** Predictions: time and memory of a model on a cluster. */
package panamoe.plan;
