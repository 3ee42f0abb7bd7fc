/** Rounds matrices to blocks of few bits, weighted by a calibration of their inputs. */
package panamoe.quantize;
