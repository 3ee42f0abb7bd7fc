/**
 * The engine: many texts, a step at a time, over a paged key/value cache. A sequence's place in a
 * step and its blocks of the cache are decided together, so both are here.
 */
package panamoe.engine.schedule;
