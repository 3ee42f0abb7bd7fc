/** The families of released models: their configurations, and the tensors of their weights. */
package panamoe.model.family;
