/** The experts that a step's rows chose, and their statistics. */
package panamoe.engine.routes;
