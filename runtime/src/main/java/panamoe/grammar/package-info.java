/** Grammars that constrain output to a JSON schema or to calls of functions. */
package panamoe.grammar;
