/** Inference: many texts, a step at a time, over a paged key/value cache. */
package panamoe.engine;
