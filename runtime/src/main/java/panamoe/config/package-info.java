/** Configurations of layers and models: the records of {@code config.json}. */
package panamoe.config;
