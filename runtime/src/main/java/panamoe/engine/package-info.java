/**
 * Requests to an engine and their results. The engine itself is {@link
 * panamoe.engine.schedule.Engine}.
 */
package panamoe.engine;
