/**
 * The engine: continuous batching over a paged key/value cache. A sequence's rows of a step and its
 * blocks are decided together, so both are in this package.
 */
package panamoe.engine.schedule;
