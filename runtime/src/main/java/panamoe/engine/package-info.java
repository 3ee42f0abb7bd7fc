/**
 * Inference: what is asked of an engine, and what it tells. The engine itself is {@link
 * panamoe.engine.schedule.Engine}.
 */
package panamoe.engine;
