/**
 * The records: airports of the United States and the flights between them in 2008, as the package vega-datasets ships them.
 *
 *     data/airports.csv          iata,name,city,state,country,latitude,longitude      3,376 rows
 *     data/flights-airport.csv   origin,destination,count                             5,366 rows
 */
import { readFileSync } from 'node:fs';
import { csvParse, type DSVRowString } from 'd3-dsv';

export interface Airport {
  readonly iata: string;
  readonly name: string;
  readonly city: string;
  readonly state: string;
  readonly latitude: number;
  readonly longitude: number;
}

export interface Route {
  readonly origin: string;
  readonly destination: string;
  readonly flights: number;
}

/** What an account must hold in the end: flights that left, flights that came, routes that were booked from here. */
export interface Totals {
  departed: number;
  arrived: number;
  routes: number;
}

function rowsOf(file: string): DSVRowString[] {
  return csvParse(readFileSync(new URL(`../data/${file}`, import.meta.resolve('vega-datasets')), 'utf8'));
}

export function readAirports(): Airport[] {
  return rowsOf('airports.csv').map((row) => ({
    iata: row['iata'] ?? '',
    name: row['name'] ?? '',
    city: row['city'] ?? '',
    state: row['state'] ?? '',
    latitude: Number(row['latitude']),
    longitude: Number(row['longitude']),
  }));
}

export function readRoutes(): Route[] {
  return rowsOf('flights-airport.csv').map((row) => ({
    origin: row['origin'] ?? '',
    destination: row['destination'] ?? '',
    flights: Number(row['count']),
  }));
}

/** The truth to compare with, straight from the file, by airport. */
export function totalsOf(airports: readonly Airport[], routes: readonly Route[]): Map<string, Totals> {
  const totals = new Map<string, Totals>(airports.map(({ iata }) => [iata, { departed: 0, arrived: 0, routes: 0 }]));
  for (const { origin, destination, flights } of routes) {
    const from = totals.get(origin);
    const to = totals.get(destination);
    if (from === undefined || to === undefined)
      throw new Error(`the route ${origin}-${destination} names an airport that is not in airports.csv`);
    from.departed += flights;
    from.routes += 1;
    to.arrived += flights;
  }
  return totals;
}
