/** Auto-configuration of Panamoe's models for Spring Boot. */
package panamoe.spring.boot;
