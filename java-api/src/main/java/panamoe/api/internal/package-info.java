/** What Panamoe's modules share behind the facade. It may change in any version. */
package panamoe.api.internal;
