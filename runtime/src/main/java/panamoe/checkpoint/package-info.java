/**
 * Models on disk: written whole or not at all, checked, and loaded; safetensors and other layouts.
 */
package panamoe.checkpoint;
