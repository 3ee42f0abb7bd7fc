/** Experts in blocks of few bits, by what a calibration says of their inputs. */
package panamoe.quantize;
