/** Which experts the rows of a step chose, and what is told of that. */
package panamoe.engine.routes;
