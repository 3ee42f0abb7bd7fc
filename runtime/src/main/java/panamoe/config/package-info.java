/** Descriptions of layers and models, which are also what {@code config.json} says. */
package panamoe.config;
